# XEP-0289 5 (fmuc.md 1.3): what makes no sense is ignored, and the link lives
site wonderland rooms.wonderland.lit
peer tower tower@rooms.verona.lit
user alice alice@wonderland.lit/rabbit

alice joins rabbithole@rooms.wonderland.lit as Alice
tower sends
  <presence from='tower@rooms.verona.lit/Juliet' to='rabbithole@rooms.wonderland.lit/Juliet'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='juliet@verona.lit/balcony'/>
    <x xmlns='http://jabber.org/protocol/muc'/>
    <x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='juliet@verona.lit/balcony'/></x></presence>
swallow

tower sends
  <message type='groupchat' from='tower@rooms.verona.lit/Juliet' to='rabbithole@rooms.wonderland.lit' id='m1'>
    <fmuc xmlns='http://isode.com/protocol/fmuc'/><body>from whom?</body></message>
  <message type='groupchat' from='tower@rooms.verona.lit/Juliet' to='rabbithole@rooms.wonderland.lit' id='m2'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='@'/><body>from whom?</body></message>
  <presence from='tower@rooms.verona.lit' to='rabbithole@rooms.wonderland.lit'>
    <fmuc xmlns='http://isode.com/protocol/fmuc'><reject/><left/></fmuc></presence>
  <presence from='tower@rooms.verona.lit' to='rabbithole@rooms.wonderland.lit'>
    <fmuc xmlns='http://isode.com/protocol/fmuc'><left/></fmuc></presence>
  <presence from='tower@rooms.verona.lit' to='rabbithole@rooms.wonderland.lit'/>
  <message type='groupchat' from='tower@rooms.verona.lit' to='rabbithole@rooms.wonderland.lit' id='m3'>
    <body>without fmuc</body></message>
alice receives nothing
swallow

tower sends
  <message type='groupchat' from='tower@rooms.verona.lit/Juliet' to='rabbithole@rooms.wonderland.lit/Alice' id='m4'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='juliet@verona.lit/balcony'/>
    <body>still here, oddly addressed</body></message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Juliet' id='m4'><body>still here, oddly addressed</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>
tower receives nothing
