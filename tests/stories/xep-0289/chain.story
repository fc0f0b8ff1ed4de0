# XEP-0289 5.3: in a chain of three nodes every message reaches every node once and never goes back
site wonderland rooms.wonderland.lit
site denmark    talk.denmark.lit      uplink elsinore -> rabbithole@rooms.wonderland.lit
site verona     rooms.verona.lit      uplink tower -> rabbithole@rooms.wonderland.lit
allow denmark <- wonderland vouch=wonderland.lit,verona.lit
allow verona <- wonderland vouch=wonderland.lit,denmark.lit
user alice alice@wonderland.lit/rabbit
user hamlet hamlet@denmark.lit/castle
user juliet juliet@verona.lit/balcony

alice joins rabbithole@rooms.wonderland.lit as Alice
hamlet joins elsinore@talk.denmark.lit as Hamlet
juliet joins tower@rooms.verona.lit as Juliet
hamlet sends
  <message type='groupchat' to='elsinore@talk.denmark.lit' id='m1'><body>To be</body></message>
hamlet receives
  <message type='groupchat' from='elsinore@talk.denmark.lit/Hamlet' id='m1'><body>To be</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='elsinore@talk.denmark.lit' id='{one}'/></message>
denmark sends wonderland
  <message type='groupchat' from='elsinore@talk.denmark.lit/Hamlet' to='rabbithole@rooms.wonderland.lit' id='m1'>
    <body>To be</body><fmuc xmlns='http://isode.com/protocol/fmuc' from='hamlet@denmark.lit/castle'/>
    <stanza-id xmlns='urn:xmpp:sid:0' by='elsinore@talk.denmark.lit' id='{one}'/></message>
wonderland sends verona
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Hamlet' to='tower@rooms.verona.lit' id='m1'>
    <body>To be</body><fmuc xmlns='http://isode.com/protocol/fmuc' from='hamlet@denmark.lit/castle'/>
    <stanza-id xmlns='urn:xmpp:sid:0' by='elsinore@talk.denmark.lit' id='{one}'/></message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Hamlet' id='m1'><body>To be</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>
juliet receives
  <message type='groupchat' from='tower@rooms.verona.lit/Hamlet' id='m1'><body>To be</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='tower@rooms.verona.lit' id='{one}'/></message>
wonderland sends denmark nothing
verona sends nothing

juliet sends
  <message type='chat' to='tower@rooms.verona.lit/Hamlet' id='p1'><body>Where are you?</body></message>
verona sends wonderland
  <message type='chat' from='tower@rooms.verona.lit/Juliet' to='rabbithole@rooms.wonderland.lit/Hamlet' id='p1'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='juliet@verona.lit/balcony'/><body>Where are you?</body></message>
wonderland sends denmark
  <message type='chat' from='rabbithole@rooms.wonderland.lit/Juliet' to='elsinore@talk.denmark.lit/Hamlet' id='p1'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='juliet@verona.lit/balcony'/><body>Where are you?</body></message>
hamlet receives
  <message type='chat' from='elsinore@talk.denmark.lit/Juliet' id='p1'><body>Where are you?</body>
    <x xmlns='http://jabber.org/protocol/muc#user'/></message>
