# XEP-0289 5.1, listing 3: a node that nobody admitted is rejected, and what it says is ignored
site wonderland rooms.wonderland.lit
peer tower tower@rooms.verona.lit
user alice alice@wonderland.lit/rabbit
deny wonderland <- tower

alice joins rabbithole@rooms.wonderland.lit as Alice
tower sends
  <presence from='tower@rooms.verona.lit/Juliet' to='rabbithole@rooms.wonderland.lit/Juliet'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='juliet@verona.lit/balcony'/>
    <x xmlns='http://jabber.org/protocol/muc'/>
    <x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='juliet@verona.lit/balcony'/></x></presence>
tower receives
  <presence from='rabbithole@rooms.wonderland.lit' to='tower@rooms.verona.lit'>
    <fmuc xmlns='http://isode.com/protocol/fmuc'><reject>{*}</reject></fmuc></presence>
alice receives nothing

tower sends
  <message type='groupchat' from='tower@rooms.verona.lit/Juliet' to='rabbithole@rooms.wonderland.lit' id='m1'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='juliet@verona.lit/balcony'/><body>Ay me</body></message>
alice receives nothing
swallow
