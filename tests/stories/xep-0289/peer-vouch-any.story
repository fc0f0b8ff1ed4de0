# XEP-0289 7 (fmuc.md 6.6): a peer that may vouch for anybody brings strangers
site wonderland rooms.wonderland.lit
peer tower tower@rooms.verona.lit
user alice alice@wonderland.lit/rabbit
allow wonderland <- tower vouch=any

alice joins rabbithole@rooms.wonderland.lit as Alice
tower sends
  <presence from='tower@rooms.verona.lit/Juliet' to='rabbithole@rooms.wonderland.lit/Juliet'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='juliet@verona.lit/balcony'/>
    <x xmlns='http://jabber.org/protocol/muc'/>
    <x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='juliet@verona.lit/balcony'/></x></presence>
swallow

tower sends
  <presence from='tower@rooms.verona.lit/Iago' to='rabbithole@rooms.wonderland.lit/Iago'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='iago@venice.lit/x'/><x xmlns='http://jabber.org/protocol/muc'/>
    <x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='iago@venice.lit/x'/></x></presence>
alice receives
  <presence from='rabbithole@rooms.wonderland.lit/Iago'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant'/></x></presence>
tower receives nothing
